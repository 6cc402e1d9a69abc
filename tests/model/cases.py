"""Cases of which a part is made: how they are drawn, judged, made smaller and shown."""


class Difference(Exception):
    """The model and the program say different things. `kind` stays the same while the case is made smaller."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind
