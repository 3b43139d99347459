"""What is kept from the pay."""

PENSION = 8
HEALTH = 5
HEALTH_LIMIT = 2000
UNION_FEE = 3


def share(pay, percent):
    return pay * percent / 100


def deductions(pay, member=False):
    """Return the deductions by name; only members of the union pay for it."""
    kept = {"pension": share(pay, PENSION)}
    kept["health"] = share(min(pay, HEALTH_LIMIT), HEALTH)
    if member:
        kept["union"] = UNION_FEE
    return kept
