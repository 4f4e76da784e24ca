"""Board tops and bitstream builds. There are none yet: docs/design.md says what will stand here."""
