"""What a run came to, for people to read: tables and pictures."""
