import Platform

Interruption.watch()
exit(Command.run(Array(CommandLine.arguments.dropFirst()), Console(.process)))
