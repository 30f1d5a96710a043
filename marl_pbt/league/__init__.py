"""The league: saved policies play each other; read `ratings.py` for what payoffs say, `alpha_rank.py` for who lasts."""
