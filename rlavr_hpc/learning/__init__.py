"""Rewards, advantages, batches and the loss: pure functions of records and tensors."""
