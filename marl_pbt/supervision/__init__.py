"""The supervisor with its workers' processes: how they are started, watched, ended and replaced.

Begin with `supervisor` (its loop), then `crew` (the workers that it has), `lookout` (who hangs), `trouble_book` (what
befell whom, and how often that is put up with). `bootstrap` and `watched` are the workers' side of it.
"""
