def train():
    "T"


def evaluate():
    "E"
