"""Early termination at work: from what runs report to which of them go on."""

from hptune.termination._checks import check_race, check_rounds
from hptune.termination._judge import Judge
from hptune.termination._race import Race
from hptune.termination._reports import DriverReports, watched

__all__ = ["DriverReports", "Judge", "Race", "check_race", "check_rounds", "watched"]
