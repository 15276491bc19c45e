"""Patterns with the wildcards * and ?, as selections and rules have them. All other characters stand for
themselves."""


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text fits the pattern: `*` stands for any characters or none, `?` for exactly one.

    The time grows with the product of both lengths, whatever the pattern is.
    """
    position = at = 0
    star = resume = -1
    while at < len(text):
        symbol = pattern[position] if position < len(pattern) else ""
        if symbol == "*":
            star, resume = position, at
            position += 1
        elif symbol and symbol in ("?", text[at]):
            position += 1
            at += 1
        elif star >= 0:
            resume += 1
            position, at = star + 1, resume
        else:
            return False
    return not pattern[position:].strip("*")
