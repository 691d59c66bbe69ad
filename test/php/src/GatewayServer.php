<?php

declare(strict_types=1);

namespace Peer;

/** A gateway as PHP's is one: WebSocket clients on one port, workers and backends on the LAN port. */
final class GatewayServer
{
    /** Where clients connect. */
    public readonly string $clientAddress;
    /** Where workers and backends connect; announced at the registers. */
    public readonly string $lanAddress;
    private readonly Hub $hub;
    private readonly Orders $orders;
    private readonly Queries $queries;
    private readonly int $lanIp;
    private readonly int $lanPort;
    private readonly int $clientPort;
    private int $lastId = 0;
    /** @var array<string, WorkerLink> by their key */
    private array $workers = [];

    /** @param list<string> $registers */
    public function __construct(
        private readonly Loop $loop,
        string $listen,
        string $lan,
        array $registers,
        private readonly string $secretKey,
    ) {
        $this->hub = new Hub();
        $this->orders = new Orders($this->hub);
        $this->queries = new Queries($this->hub);
        $this->clientAddress = Connection::listen($loop, $listen, $this->onClientConnection(...));
        $this->lanAddress = Connection::listen($loop, $lan, $this->onLanConnection(...));
        $this->clientPort = (int) explode(':', $this->clientAddress)[1];
        [$ip, $port] = explode(':', $this->lanAddress);
        [$this->lanIp, $this->lanPort] = [ip2long($ip), (int) $port];
        foreach ($registers as $register) {
            $this->announceAt($register);
        }
    }

    private function announceAt(string $register): void
    {
        $hello = ['event' => 'gateway_connect', 'address' => $this->lanAddress, 'secret_key' => $this->secretKey];
        new Dialer(
            $this->loop,
            $register,
            onUp: static fn(Connection $connection) => $connection->send(Lines::encode($hello)),
            onData: static function (Connection $connection): void {
                $connection->input = '';
            },
            onDown: static fn() => Program::log('a register is away', ['register' => $register]),
        );
    }

    // --- Clients -----------------------------------------------------------------------------------------------------

    private function onClientConnection(Connection $connection): void
    {
        $id = ++$this->lastId;
        $client = new Client(
            $id,
            $connection,
            onOpen: fn(array $handshake) => $this->tellWorkerOf($id, Command::ON_WEBSOCKET_CONNECT, $handshake),
            onMessage: fn(string $message) => $this->tellWorkerOf($id, Command::ON_MESSAGE, $message),
            onClose: fn() => $this->onClientClose($id),
        );
        $this->hub->add($client);
        $this->tellWorkerOf($id, Command::ON_CONNECT);
    }

    private function onClientClose(int $id): void
    {
        $client = $this->hub->clients[$id];
        $this->tellWorkerOf($id, Command::ON_CLOSE);
        if ($client->worker !== null) {
            $client->worker->clients -= 1;
        }
        $this->hub->remove($client);
    }

    private function tellWorkerOf(int $id, int $command, mixed $body = ''): void
    {
        $client = $this->hub->clients[$id] ?? null;
        // Gone over an earlier event of the same chunk.
        if ($client === null) {
            return;
        }
        $client->worker ??= $this->bind();
        if ($client->worker === null) {
            if ($command !== Command::ON_CLOSE) {
                $client->connection->destroy();
            }
            return;
        }
        $event = new Frame(
            $command,
            $id,
            $client->session,
            $body,
            localIp: $this->lanIp,
            localPort: $this->lanPort,
            clientIp: (int) ip2long($client->connection->remoteIp),
            clientPort: $client->connection->remotePort,
            gatewayPort: $this->clientPort,
        );
        $client->worker->connection->send($event->encode());
    }

    /** The worker with the fewest clients, which has one more now. */
    private function bind(): ?WorkerLink
    {
        $chosen = null;
        foreach ($this->workers as $worker) {
            if ($chosen === null || $worker->clients < $chosen->clients) {
                $chosen = $worker;
            }
        }
        if ($chosen !== null) {
            $chosen->clients += 1;
        }
        return $chosen;
    }

    // --- Workers and backends ----------------------------------------------------------------------------------------

    private function onLanConnection(Connection $connection): void
    {
        $isTrusted = $this->secretKey === '';
        $connection->onData = function () use ($connection, &$isTrusted): void {
            try {
                foreach (Frame::takeFrom($connection->input) as $frame) {
                    $isTrusted = $this->isHello($frame) ? $this->isWelcome($connection, $frame) : $isTrusted;
                    if (!$isTrusted) {
                        Program::log('a connection to the LAN port was refused', ['peer' => $connection->remoteIp]);
                        $connection->destroy();
                        return;
                    }
                    $this->onFrame($connection, $frame);
                }
            } catch (\UnexpectedValueException $error) {
                fwrite(STDERR, "a connection to the LAN port sent {$error->getMessage()}\n");
                $connection->destroy();
            }
        };
    }

    private function isHello(Frame $frame): bool
    {
        return in_array($frame->command, [Command::WORKER_CONNECT, Command::GATEWAY_CLIENT_CONNECT], true);
    }

    private function isWelcome(Connection $connection, Frame $hello): bool
    {
        $said = json_decode((string) $hello->body, true);
        if ($this->secretKey !== '' && ($said['secret_key'] ?? '') !== $this->secretKey) {
            return false;
        }
        if ($hello->command === Command::WORKER_CONNECT) {
            $this->addWorker(new WorkerLink("$connection->remoteIp:{$said['worker_key']}", $connection));
        }
        return true;
    }

    private function onFrame(Connection $connection, Frame $frame): void
    {
        $answer = $this->queries->answer($frame);
        if ($answer === null) {
            $this->orders->carryOut($frame);
        } else {
            $connection->send($answer);
        }
    }

    /** Takes the place of one with the same key. */
    private function addWorker(WorkerLink $worker): void
    {
        $connection = ($this->workers[$worker->key] ?? null)?->connection;
        $this->workers[$worker->key] = $worker;
        $connection?->destroy();
        $worker->connection->onClose = fn() => $this->onWorkerClose($worker);
        Program::log('worker linked', ['worker' => $worker->key, 'workers' => count($this->workers)]);
    }

    private function onWorkerClose(WorkerLink $worker): void
    {
        if ($this->workers[$worker->key] === $worker) {
            unset($this->workers[$worker->key]);
        }
        foreach ($this->hub->clients as $client) {
            if ($client->worker === $worker) {
                $client->worker = null;
            }
        }
        Program::log('worker gone', ['worker' => $worker->key, 'workers' => count($this->workers)]);
    }
}
