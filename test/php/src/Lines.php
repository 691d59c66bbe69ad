<?php

declare(strict_types=1);

namespace Peer;

/** The register's messages: one JSON object a line. */
final class Lines
{
    public static function encode(array $message): string
    {
        return json_encode($message, JSON_UNESCAPED_SLASHES) . "\n";
    }

    /**
     * Takes the lines off the buffer that are complete.
     *
     * @return list<?array> null for what is no message
     */
    public static function takeFrom(string &$buffer): array
    {
        $lines = explode("\n", $buffer);
        $buffer = array_pop($lines);
        return array_map(static function (string $line): ?array {
            $message = json_decode($line, true);
            return is_string($message['event'] ?? null) ? $message : null;
        }, $lines);
    }
}
