"""Tests of the device doors, the batch writer, identity and the loss ledger."""
