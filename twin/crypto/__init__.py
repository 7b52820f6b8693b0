"""Digests and signatures of the national algorithms (SM2, SM3)."""
