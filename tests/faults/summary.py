"""What the suite says at its end: how many faults it injected, and how many did no harm."""

import collections


def pytest_terminal_summary(terminalreporter):
    counts = {"fault": collections.Counter(), "survived": collections.Counter()}
    for reports in terminalreporter.stats.values():
        for report in reports:
            # Each test has a report for its setup and teardown too, with the same properties.
            if getattr(report, "when", None) == "call":
                for name, value in report.user_properties:
                    if name in counts:
                        counts[name][value] += 1
    injected, survived = counts["fault"], counts["survived"]
    if not injected:
        return
    terminalreporter.section("faults")
    for kind in sorted(injected):
        terminalreporter.write_line(f"{kind}: {survived[kind]} of {injected[kind]} survived")
    terminalreporter.write_line(
        f"{injected.total()} faults injected, {survived.total()} survived with nothing lost"
    )
