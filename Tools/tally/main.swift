import Platform

Interruption.reportFailedWrites()
exit(Command.run(Array(CommandLine.arguments.dropFirst()), Console(.process)))
