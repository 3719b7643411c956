# Captures to measure with; sourced.
# shellcheck shell=bash

# capture FILE SIZE...: 12,000 UDP frames of 1,024 flows, of these sizes in turn, each with its check sequence, which is left out.
capture() {
    perl -e '
        my ($file, @sizes) = @ARGV;
        open my $out, ">:raw", $file or die "$file: $!";
        print $out pack "VvvVVVV", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1;
        for my $i (0 .. 11999) {
            my $size = $sizes[$i % @sizes] - 4;    # without the check sequence
            my $ip = pack "CCnNCCnNN", 0x45, 0, $size - 14, 0, 64, 17, 0, 0xc6120000 + $i % 1024, 0x0afd0001;
            my $sum = 0;
            $sum += $_ for unpack "n*", $ip;
            $sum = ($sum & 0xffff) + ($sum >> 16) while $sum >> 16;
            substr $ip, 10, 2, pack "n", ~$sum & 0xffff;
            my $frame = pack("H*", "0200000000020200000000010800") . $ip . pack "nnnn", 9, 9, $size - 34, 0;
            $frame .= "\0" x ($size - length $frame);
            print $out pack("VVVV", 1700000000, $i, $size, $size), $frame;
        }' "$@"
}
