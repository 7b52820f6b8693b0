"""Codes on the ground: QR, label sheets, and the public page behind each code."""
