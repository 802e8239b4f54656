"""What a run reports of itself: update metrics, memory, profile, summary."""
