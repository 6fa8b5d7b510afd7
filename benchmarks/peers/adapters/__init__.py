"""One file per peer: what it is, and a program that answers faces with probabilities. See ../protocol.py."""
