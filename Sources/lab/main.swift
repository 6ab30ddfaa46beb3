import CLI
import CLinux
import Glibc
import Kinds

exit(Program.run(CommandLine.arguments, build: BuildStamp.origin))
