"""What a person reads afterwards: benchmark report, machine check, daily summary."""
