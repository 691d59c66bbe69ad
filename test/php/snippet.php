<?php

// php snippet.php CODE VARIABLES: prints what the code returns, as JSON. The code is what a page of a PHP web site would
// run: it knows `Gateway`, the variables in the JSON object, and what frames are made of. A warning is an error.

ini_set('display_errors', 'stderr');
// Nobody is left behind who waits for an answer in a loop.
set_time_limit(10);
set_error_handler(static function (int $level, string $message, string $file, int $line): bool {
    // What an @ keeps quiet is no matter of ours.
    return (error_reporting() & $level) === 0 || throw new ErrorException($message, 0, $level, $file, $line);
});
require __DIR__ . '/GatewayClient.php';

/** Bytes as text that JSON can hold. */
function printable(string $bytes): string
{
    return addcslashes($bytes, "\0..\37\177..\377");
}

$run = static function (string $code, string $variables): mixed {
    extract(json_decode($variables, true));
    return eval("use GatewayClient\Gateway; use Peer\{ClientId, Command, Frame, ShortConnections}; $code");
};
echo json_encode($run($argv[1], $argv[2]), JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
