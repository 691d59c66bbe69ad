<?php

declare(strict_types=1);

namespace Peer;

/** Asks a register once for the gateways' LAN addresses, as a backend does. */
final class RegisterLookup
{
    private const CACHED_SECONDS = 1;

    /** @var array<string, array{float, list<string>}> */
    private static array $cache = [];

    /**
     * The list of the first register that answers; remembered for a second.
     *
     * @param list<string> $registers
     * @return list<string>
     * @throws \RuntimeException if none answers
     */
    public static function addresses(array $registers, string $secretKey, int $timeout): array
    {
        $key = serialize([$registers, $secretKey]);
        [$askedAt, $addresses] = self::$cache[$key] ?? [0.0, []];
        if (microtime(true) - $askedAt < self::CACHED_SECONDS) {
            return $addresses;
        }
        foreach ($registers as $register) {
            $addresses = self::ask($register, $secretKey, $timeout);
            if ($addresses !== null) {
                self::$cache[$key] = [microtime(true), $addresses];
                return $addresses;
            }
        }
        throw new \RuntimeException('no register answers: ' . implode(', ', $registers));
    }

    /** @return ?list<string> */
    private static function ask(string $register, string $secretKey, int $timeout): ?array
    {
        $stream = @stream_socket_client("tcp://$register", $code, $reason, $timeout);
        if (!$stream) {
            return null;
        }
        stream_set_timeout($stream, $timeout);
        fwrite($stream, json_encode(['event' => 'worker_connect', 'secret_key' => $secretKey]) . "\n");
        $line = fgets($stream);
        fclose($stream);
        $message = json_decode((string) $line, true);
        $addresses = $message['addresses'] ?? null;
        return is_array($addresses) ? array_values($addresses) : null;
    }
}
