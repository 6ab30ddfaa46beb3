import CLI
import CLinux
import Glibc

exit(Program.run(CommandLine.arguments))
