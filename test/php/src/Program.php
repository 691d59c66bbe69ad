<?php

declare(strict_types=1);

namespace Peer;

/** What the three programs have in common: options, and the log that the tests wait for. */
final class Program
{
    /**
     * The options "--name value" of the command line, and the secret of the environment.
     * From here on PHP's warnings go to stderr.
     *
     * @param array<string, string> $defaults name → default
     * @return array<string, string|list<string>> an option that was given several times is a list
     */
    public static function options(array $defaults): array
    {
        error_reporting(E_ALL);
        ini_set('display_errors', 'stderr');
        $given = getopt('', array_map(static fn(string $name) => "$name:", array_keys($defaults)));
        return $given + $defaults + ['secret' => (string) getenv('GW_SECRET_KEY')];
    }

    /** Writes a line in the format of our own programs' logs. */
    public static function log(string $message, array $details = []): void
    {
        $line = ['level' => 'info', 'pid' => getmypid(), 'process' => basename($_SERVER['SCRIPT_NAME'] ?? 'php')];
        echo json_encode($line + $details + ['index' => 0, 'msg' => $message], JSON_UNESCAPED_SLASHES), "\n";
    }

    /** The two lines that say that one process, and with it the whole program, is ready. */
    public static function ready(array $details): void
    {
        self::log('ready', $details);
        self::log('all ready');
    }
}
