"""placeholder"""


def write_report(rows, out, *, machine):
    pass
