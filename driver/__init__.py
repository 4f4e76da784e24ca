"""The host's half of the device contract: messages, links and the device."""
