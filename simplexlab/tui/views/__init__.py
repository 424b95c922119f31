"""What the screens show, computed without a terminal."""
