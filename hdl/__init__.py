"""The gateware: a DTLS 1.3 record-protection accelerator in Amaranth."""
