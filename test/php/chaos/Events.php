<?php

declare(strict_types=1);

// Events for the real GatewayWorker that do what fixtures/chaos.ts does, for scripts/bench/chaos.mjs. A handler that waits
// blocks a whole worker in PHP, so none does.

use GatewayWorker\Lib\Gateway;

final class Events
{
    public static function onConnect(string $clientId): void
    {
        $_SESSION = ['connectedBy' => getmypid()];
        self::record('connect', $clientId);
        Gateway::sendToCurrentClient(json_encode(['clientId' => $clientId]));
    }

    public static function onMessage(string $clientId, string $message): void
    {
        $number = (int) $message;
        $_SESSION['latest'] = $number;
        Gateway::sendToCurrentClient(json_encode(['number' => $number, 'redelivered' => false]));
    }

    public static function onClose(string $clientId): void
    {
        self::record('close', $clientId);
    }

    /** One JSON object a line, beside this file; a write that was made outlives a killed process. */
    private static function record(string $event, string $clientId): void
    {
        $line = ['clientId' => $clientId, 'event' => $event, 'pid' => getmypid()];
        file_put_contents(__DIR__ . '/ledger.jsonl', json_encode($line) . "\n", FILE_APPEND);
    }
}
