"""The test suite."""

# For JVMs that live for seconds: a compiler that optimises them takes more time than it saves.
SHORT_LIVED_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
