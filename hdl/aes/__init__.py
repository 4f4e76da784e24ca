"""AES encryption (FIPS 197): S-box, key schedule and the cores."""
