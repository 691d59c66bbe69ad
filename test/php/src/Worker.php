<?php

declare(strict_types=1);

namespace Peer;

use GatewayClient\Gateway;

/** A worker as PHP's BusinessWorker is one: links to every gateway and calls the static methods of a class `Events`. */
final class Worker
{
    private const HANDLERS = [
        Command::ON_CONNECT => 'onConnect',
        Command::ON_WEBSOCKET_CONNECT => 'onWebSocketConnect',
        Command::ON_MESSAGE => 'onMessage',
        Command::ON_CLOSE => 'onClose',
    ];

    /** The client whose event is being handled, '' between events. */
    public string $currentClientId = '';
    /** @var array<string, Dialer> by the LAN addresses that the registers name */
    private array $links = [];
    /** @var array<string, true> those that are there now */
    private array $linked = [];
    /** @var array<string, list<string>> register → the gateways that it names */
    private array $named = [];

    /** @param list<string> $registers */
    public function __construct(
        private readonly Loop $loop,
        public readonly string $name,
        public readonly int $id,
        array $registers,
        public readonly string $secretKey,
    ) {
        Gateway::setBusinessWorker($this);
        self::call('onWorkerStart', $this);
        foreach ($registers as $register) {
            $this->watch($register);
        }
    }

    public function stop(): void
    {
        self::call('onWorkerStop', $this);
    }

    // --- What Gateway asks for ---------------------------------------------------------------------------------------

    /** @return list<string> the LAN addresses of the gateways that it is linked with */
    public function gateways(): array
    {
        return array_keys($this->linked);
    }

    /** Sends a command on the worker's own connection; false if there is none to that gateway. */
    public function send(string $address, Frame $frame): bool
    {
        return isset($this->linked[$address]) && $this->links[$address]->send($frame->encode());
    }

    // --- Registers ---------------------------------------------------------------------------------------------------

    private function watch(string $register): void
    {
        $hello = Lines::encode(['event' => 'worker_connect', 'secret_key' => $this->secretKey]);
        new Dialer(
            $this->loop,
            $register,
            onUp: static fn(Connection $connection) => $connection->send($hello),
            onData: function (Connection $connection) use ($register): void {
                foreach (Lines::takeFrom($connection->input) as $message) {
                    if (($message['event'] ?? null) === 'broadcast_addresses') {
                        $this->onAddresses($register, $message['addresses']);
                    }
                }
            },
            // What is linked stays linked.
            onDown: static fn() => Program::log('a register is away', ['register' => $register]),
        );
    }

    /** @param list<string> $addresses the whole list of one register */
    private function onAddresses(string $register, array $addresses): void
    {
        $this->named[$register] = $addresses;
        $wanted = array_merge(...array_values($this->named));
        foreach (array_diff($wanted, array_keys($this->links)) as $address) {
            $this->links[$address] = $this->link($address);
        }
        foreach (array_diff(array_keys($this->links), $wanted) as $address) {
            $this->links[$address]->close();
            unset($this->links[$address]);
        }
    }

    // --- Gateways ----------------------------------------------------------------------------------------------------

    private function link(string $address): Dialer
    {
        $said = json_encode(['worker_key' => "$this->name:$this->id", 'secret_key' => $this->secretKey]);
        $hello = (new Frame(Command::WORKER_CONNECT, body: $said))->encode();
        return new Dialer(
            $this->loop,
            $address,
            onUp: function (Connection $connection) use ($address, $hello): void {
                $connection->send($hello);
                $this->linked[$address] = true;
            },
            onData: function (Connection $connection): void {
                foreach (Frame::takeFrom($connection->input) as $frame) {
                    $this->onEvent($frame);
                }
            },
            onDown: function () use ($address): void {
                unset($this->linked[$address]);
            },
        );
    }

    private function onEvent(Frame $event): void
    {
        $handler = self::HANDLERS[$event->command] ?? null;
        if ($handler === null) {
            return;
        }
        $clientId = ClientId::of($event->localIp, $event->localPort, $event->connectionId);
        $_SERVER = [
            'REMOTE_ADDR' => long2ip($event->clientIp),
            'REMOTE_PORT' => $event->clientPort,
            'GATEWAY_ADDR' => long2ip($event->localIp),
            'GATEWAY_PORT' => $event->gatewayPort,
            'GATEWAY_CLIENT_ID' => $clientId,
        ] + $_SERVER;
        $session = $event->ext === '' ? [] : unserialize($event->ext);
        $_SESSION = $session;
        $this->currentClientId = $clientId;
        $takesData = in_array($event->command, [Command::ON_MESSAGE, Command::ON_WEBSOCKET_CONNECT], true);
        self::call($handler, $clientId, ...($takesData ? [$event->body] : []));
        $this->currentClientId = '';
        if ($event->command !== Command::ON_CLOSE && serialize($_SESSION) !== serialize($session)) {
            Gateway::setSession($clientId, $_SESSION);
        }
    }

    private static function call(string $handler, mixed ...$arguments): void
    {
        if (!method_exists('Events', $handler)) {
            return;
        }
        try {
            \Events::$handler(...$arguments);
        } catch (\Throwable $error) {
            fwrite(STDERR, "$handler: $error\n");
        }
    }
}
