<?php
// Pushes from PHP, as Workerman's manual does: php push.php uid1 88%
[, $uid, $percent] = $argv;
$client = stream_socket_client('tcp://127.0.0.1:' . (getenv('PUSH_PORT') ?: 5678), $code, $message, 1);
fwrite($client, json_encode(['uid' => $uid, 'percent' => $percent]) . "\n");
echo fread($client, 8192);
