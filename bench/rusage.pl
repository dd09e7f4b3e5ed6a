# Runs a command and writes what its whole process tree used: "user_us system_us max_rss_kib status".
# usage: perl rusage.pl NUMBER_OF_GETRUSAGE FILE COMMAND…
# perl-base is on every Debian, GNU time and Python are not. RUSAGE_CHILDREN covers the command and every descendant
# that was waited for, in microseconds; max_rss is the largest single process among them.
use strict;
use warnings;

my ($getrusage, $file, @command) = @ARGV;
my $status = system { $command[0] } @command;
my $usage = "\0" x 256;
syscall($getrusage + 0, -1, $usage) == 0 or die "rusage.pl: getrusage: $!\n";
my ($user_s, $user_us, $system_s, $system_us, $max_rss) = unpack 'q5', $usage;
my $code = $status == -1 ? 127 : $status & 127 ? 128 + ($status & 127) : $status >> 8;
open my $out, '>', $file or die "rusage.pl: $file: $!\n";
printf $out "%d %d %d %d\n", $user_s * 1e6 + $user_us, $system_s * 1e6 + $system_us, $max_rss, $code;
close $out or die "rusage.pl: $file: $!\n";
