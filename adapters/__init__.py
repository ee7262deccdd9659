"""One file per service: what it can pull, tag, note and announce. The file is the registration."""
