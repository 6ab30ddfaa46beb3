import CLinux

/// What a process holds in memory only because it once ran through it.
public enum ProcessMemory {
    /// Lets go of the program's own text and constants, and of free heap: a start runs through much that is never needed
    /// again, and the kernel maps sixteen pages for each one touched. What is used again comes back from the page cache by
    /// a fault each, so this is for the moment when a start is over, not for a loop.
    public static func giveBackWhatTheStartUsed() { lab_give_back_memory() }
}
