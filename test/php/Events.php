<?php

declare(strict_types=1);

// Events for worker.php that do what a test says. A client is told its id and the handshake. A message {"do": …} names
// one of the acts below, and is answered with {"answer": …}; anything else is echoed, bytes that are no text as hex.

use GatewayWorker\Lib\Gateway;

final class Events
{
    private static string $startedAs;
    /** @var array<string, list<string>> client id → events so far */
    private static array $events = [];

    public static function onWorkerStart(object $worker): void
    {
        self::$startedAs = $worker->name;
    }

    public static function onConnect(string $clientId): void
    {
        self::$events[$clientId] = ['onConnect'];
    }

    public static function onWebSocketConnect(string $clientId, array $data): void
    {
        self::$events[$clientId][] = 'onWebSocketConnect';
        Gateway::sendToClient($clientId, json_encode(['clientId' => $clientId, 'workerPid' => getmypid()] + $data));
    }

    public static function onMessage(string $clientId, string $message): void
    {
        self::$events[$clientId][] = 'onMessage';
        $order = json_decode($message, true);
        if (isset($order['do'])) {
            Gateway::sendToCurrentClient(json_encode(['answer' => self::{$order['do']}($order)]));
        } else {
            Gateway::sendToCurrentClient(preg_match('//u', $message) ? $message : bin2hex($message));
        }
    }

    public static function onClose(string $clientId): void
    {
        $news = ['closed' => $clientId, 'events' => self::$events[$clientId]];
        $news += ['server' => self::server(), 'session' => $_SESSION];
        unset(self::$events[$clientId]);
        // Nobody stores this.
        $_SESSION['closed'] = true;
        Gateway::sendToGroup('watchers', $news);
    }

    // --- Acts --------------------------------------------------------------------------------------------------------

    /** Calls the push API. */
    private static function call(array $order): mixed
    {
        return Gateway::{$order['method']}(...$order['arguments']);
    }

    /** Runs code that may change $_SESSION. */
    private static function evaluate(array $order): mixed
    {
        return eval($order['code']);
    }

    private static function show(): array
    {
        return [
            'events' => self::$events[$_SERVER['GATEWAY_CLIENT_ID']],
            'server' => self::server(),
            'session' => $_SESSION,
            'startedAs' => self::$startedAs,
        ];
    }

    private static function server(): array
    {
        $names = ['REMOTE_ADDR', 'REMOTE_PORT', 'GATEWAY_ADDR', 'GATEWAY_PORT', 'GATEWAY_CLIENT_ID'];
        return array_intersect_key($_SERVER, array_flip($names));
    }
}
