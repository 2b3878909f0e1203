# One login for each line on stdin; how it went as a line on stdout. Both are JSON, see client.ts.
use strict;
use warnings;
use DBI;
use JSON::PP;

$| = 1;

sub log_in {
    my ($attempt) = @_;
    my @options = (
        "host=$attempt->{host}", "port=$attempt->{port}", 'mysql_connect_timeout=10', 'mysql_read_timeout=10',
        $attempt->{tls} ? 'mysql_ssl=1' : 'mysql_get_server_pubkey=1',
    );
    if ($attempt->{compression} ne 'none') {
        push @options, 'mysql_compression=' . $attempt->{compression};
    }
    my $dbh = DBI->connect('DBI:mysql:' . join(';', @options), $attempt->{user}, $attempt->{password},
        { RaiseError => 0, PrintError => 0 });
    return refused() unless $dbh;
    my %facts;
    for my $statement (@{ $attempt->{statements} }) {
        my $rows = $dbh->selectall_arrayref($statement) or return refused($dbh);
        $facts{ $_->[0] } = "$_->[1]" for @$rows;
    }
    $dbh->disconnect;
    return { kind => 'in', facts => \%facts };
}

sub refused {
    my ($dbh) = @_;
    return { kind => 'refused', error => $dbh ? $dbh->err . ' ' . $dbh->errstr : DBI->err . ' ' . DBI->errstr };
}

while (my $line = <STDIN>) {
    my $answer = eval { log_in(decode_json($line)) } // { kind => 'refused', error => "$@" };
    print encode_json($answer), "\n";
}
