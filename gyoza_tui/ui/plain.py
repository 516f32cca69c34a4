from textual.content import Content


def one_line(text: str) -> Content:
    return Content("".join(c if c.isprintable() else "␛" for c in text))


def duration(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
