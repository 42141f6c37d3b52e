"""How many decimals a currency has, by ISO 4217."""

_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF XTR"
_THREE = "BHD IQD JOD KWD LYD OMR TND"
_DECIMALS = dict.fromkeys(_NONE.split(), 0) | dict.fromkeys(_THREE.split(), 3)
USUAL_DECIMALS = 2


def amount_text(amount: int, currency: str, *, point: str = ".") -> str:
    """Return an amount in the smallest unit of a currency as people write it: `12.50 EUR`.

    The point is what stands before the decimals: a comma in Russian.
    """
    decimals = _DECIMALS.get(currency, USUAL_DECIMALS)
    if not decimals:
        return f"{amount} {currency}"
    whole, rest = divmod(amount, 10**decimals)
    return f"{whole}{point}{rest:0{decimals}} {currency}"
