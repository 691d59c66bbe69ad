<?php

declare(strict_types=1);

namespace Peer;

/** The address book as PHP's Register keeps it; wire.md section 1. */
final class Register
{
    private const SILENCE_SECONDS = 10;

    public readonly string $address;
    /** @var array<int, string> connection → LAN address */
    private array $gateways = [];
    /** @var array<int, Connection> */
    private array $workers = [];

    public function __construct(private readonly Loop $loop, string $address, private readonly string $secretKey)
    {
        $this->address = Connection::listen($loop, $address, $this->onConnection(...));
    }

    private function onConnection(Connection $connection): void
    {
        $silence = $this->loop->after(self::SILENCE_SECONDS, $connection->destroy(...));
        $connection->onData = function () use ($connection, $silence): void {
            foreach (Lines::takeFrom($connection->input) as $message) {
                $this->loop->cancel($silence);
                if (!$this->isAccepted($connection, $message)) {
                    Program::log('a register connection was refused', ['peer' => $connection->remoteIp]);
                    if (!isset($message['event'])) {
                        $connection->send("not a message of this cluster\n");
                    }
                    $connection->close();
                    return;
                }
            }
        };
        $connection->onClose = function () use ($connection, $silence): void {
            $this->loop->cancel($silence);
            $id = spl_object_id($connection);
            unset($this->workers[$id]);
            if (isset($this->gateways[$id])) {
                unset($this->gateways[$id]);
                $this->broadcast();
            }
        };
    }

    private function isAccepted(Connection $connection, ?array $message): bool
    {
        $event = $message['event'] ?? null;
        $id = spl_object_id($connection);
        if ($event === 'ping') {
            return true;
        }
        if ($this->secretKey !== '' && ($message['secret_key'] ?? '') !== $this->secretKey) {
            return false;
        }
        if ($event === 'worker_connect') {
            $this->workers[$id] = $connection;
            $connection->send($this->list());
            return true;
        }
        if ($event === 'gateway_connect' && is_string($message['address'] ?? null)) {
            $this->gateways[$id] = $message['address'];
            Program::log('gateway online', ['gateway' => $message['address'], 'gateways' => count($this->gateways)]);
            $this->broadcast();
            return true;
        }
        return false;
    }

    private function broadcast(): void
    {
        foreach ($this->workers as $worker) {
            $worker->send($this->list());
        }
    }

    private function list(): string
    {
        $addresses = array_values(array_unique($this->gateways));
        return Lines::encode(['event' => 'broadcast_addresses', 'addresses' => $addresses]);
    }
}
