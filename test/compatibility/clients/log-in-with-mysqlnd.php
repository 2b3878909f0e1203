<?php
// One login for each line on stdin; how it went as a line on stdout. Both are JSON, see client.ts.

mysqli_report(MYSQLI_REPORT_OFF);
error_reporting(E_ALL & ~E_WARNING);

function log_in(array $attempt): array
{
    $connection = mysqli_init();
    $connection->options(MYSQLI_OPT_CONNECT_TIMEOUT, 10);
    $connection->options(MYSQLI_OPT_READ_TIMEOUT, 10);
    $flags = 0;
    if ($attempt['tls']) {
        $connection->ssl_set(null, null, null, null, null);
        $flags |= MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT;
    }
    if ($attempt['compression'] === 'zlib') {
        $flags |= MYSQLI_CLIENT_COMPRESS;
    }
    $isIn = $connection->real_connect(
        $attempt['host'], $attempt['user'], $attempt['password'], '', $attempt['port'], null, $flags
    );
    if (!$isIn) {
        return ['kind' => 'refused', 'error' => "$connection->connect_errno $connection->connect_error"];
    }
    $facts = [];
    foreach ($attempt['statements'] as $statement) {
        $result = $connection->query($statement);
        if ($result === false) {
            return ['kind' => 'refused', 'error' => "$connection->errno $connection->error"];
        }
        foreach ($result->fetch_all() as [$name, $value]) {
            $facts[$name] = (string) $value;
        }
    }
    $connection->close();
    return ['kind' => 'in', 'facts' => (object) $facts];
}

while (($line = fgets(STDIN)) !== false) {
    echo json_encode(log_in(json_decode($line, true))), "\n";
}
