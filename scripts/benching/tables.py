"""Tables in Markdown that are aligned for a terminal."""


def printed(title, head, lines):
    rows = [[str(cell) for cell in row] for row in [head, *lines]]
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    print(f"\n## {title}\n")
    for nth, row in enumerate(rows):
        print("| " + " | ".join(cell.rjust(width) for cell, width in zip(row, widths)) + " |")
        if nth == 0:
            print("|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    # Show each table at once.
    print(end="", flush=True)


def spread(numbers, digits):
    return f"{min(numbers):.{digits}f}–{max(numbers):.{digits}f}"
