package config

// fieldReporter records that a field breaks a rule.
type fieldReporter func(field, format string, args ...any)
