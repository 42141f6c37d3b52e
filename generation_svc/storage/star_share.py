"""The share of an affiliate in a transaction of Stars, in SQL, as `domain/star` counts it."""


def _number(path: str) -> str:
    """Return a number of a document; nothing for what is none."""
    return f"CASE jsonb_typeof({path}) WHEN 'number' THEN ({path})::numeric ELSE 0 END"


# An affiliate's share is a part of what the user paid, and never comes to the bot.
STAR_SHARE = f"""abs({_number("side -> 'affiliate' -> 'amount'")} * 1000000000
            + {_number("side -> 'affiliate' -> 'nanostar_amount'")})"""
"""In nanostars, of a transaction whose other side is the document `side`."""
