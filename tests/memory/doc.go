// Package memory holds Sluice to import.memory-budget: whatever jobs there are, and
// however many, the process's largest resident size stays below the budget with a fifth
// added, and what they import is right. The tests measure a real process in front of the
// embedded cluster. SLUICE_MEMORY_LONG=1 makes all of them about ten times as large.
package memory
