"""The trained policy: its protocol, DeepSpeed, forward passes and updates, and the weight sync."""
