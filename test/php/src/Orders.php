<?php

declare(strict_types=1);

namespace Peer;

/** What a gateway does when it is told to: the commands without an answer. */
final class Orders
{
    public function __construct(private readonly Hub $hub)
    {
    }

    /** What it does not know it ignores. */
    public function carryOut(Frame $frame): void
    {
        match ($frame->command) {
            Command::SEND_TO_ALL => $this->sendToAll($frame),
            Command::SEND_TO_UID => $this->sendToUid($frame),
            Command::SEND_TO_GROUP => $this->sendToGroup($frame),
            Command::UNGROUP => $this->hub->ungroup($frame->ext),
            default => $this->carryOutFor($this->hub->clients[$frame->connectionId] ?? null, $frame),
        };
    }

    private function carryOutFor(?Client $client, Frame $frame): void
    {
        if ($client === null) {
            return;
        }
        match ($frame->command) {
            Command::SEND_TO_ONE => $client->send($frame->body, $frame->raw),
            Command::KICK => $this->kick($client, $frame->body),
            Command::DESTROY => $client->connection->destroy(),
            Command::BIND_UID => $this->hub->bind($client, $frame->ext),
            Command::UNBIND_UID => $this->hub->unbind($client),
            Command::JOIN_GROUP => $this->hub->join($client, $frame->ext),
            Command::LEAVE_GROUP => $this->hub->leave($client, $frame->ext),
            Command::SET_SESSION => $client->session = $frame->ext,
            Command::UPDATE_SESSION => $client->session = self::merge($client->session, $frame->ext),
            default => null,
        };
    }

    private function sendToAll(Frame $frame): void
    {
        $parameters = json_decode($frame->ext, true) ?? [];
        $clients = isset($parameters['connections'])
            ? array_intersect_key($this->hub->clients, array_flip($parameters['connections']))
            : array_diff_key($this->hub->clients, $parameters['exclude'] ?? []);
        foreach ($clients as $client) {
            $client->send($frame->body, $frame->raw);
        }
    }

    private function sendToUid(Frame $frame): void
    {
        foreach (json_decode($frame->ext, true) as $uid) {
            foreach ($this->hub->clientsOf((string) $uid) as $client) {
                $client->send($frame->body, $frame->raw);
            }
        }
    }

    private function sendToGroup(Frame $frame): void
    {
        ['group' => $groups, 'exclude' => $exclude] = json_decode($frame->ext, true);
        foreach ($groups as $group) {
            foreach (array_diff_key($this->hub->members((string) $group), $exclude ?? []) as $client) {
                $client->send($frame->body, $frame->raw);
            }
        }
    }

    private function kick(Client $client, mixed $message): void
    {
        if ($message !== null && $message !== '') {
            $client->send($message, false);
        }
        $client->connection->close();
    }

    private static function merge(string $session, string $changes): string
    {
        return $session === ''
            ? $changes
            : serialize(array_replace_recursive(unserialize($session), unserialize($changes)));
    }
}
