<?php

declare(strict_types=1);

namespace GatewayClient;

use Peer\ClientId;
use Peer\Command;
use Peer\Frame;
use Peer\RegisterLookup;
use Peer\ShortConnections;
use Peer\Worker;

require_once __DIR__ . '/src/autoload.php';

/**
 * The push API as PHP web sites call it: class name, methods, arguments and results are those of GatewayClient 3.x.
 * Inside a PHP worker it goes by the name GatewayWorker\Lib\Gateway, and commands travel on the worker's connections.
 */
class Gateway
{
    /** @var string|list<string> "host:port" of a register, or of several */
    public static $registerAddress = '127.0.0.1:1236';
    /** @var string */
    public static $secretKey = '';
    /** @var int seconds */
    public static $connectTimeout = 3;

    private static ?Worker $worker = null;

    /** For the worker that runs the caller's Events. */
    public static function setBusinessWorker(Worker $worker): void
    {
        self::$worker = $worker;
    }

    // --- Sending -----------------------------------------------------------------------------------------------------

    /** To everybody; or to $client_id_array only, once each; and in both cases not to $exclude_client_id. */
    public static function sendToAll($message, $client_id_array = null, $exclude_client_id = null, $raw = false)
    {
        $excluded = self::connectionsByGateway((array) $exclude_client_id);
        if ($client_id_array !== null) {
            foreach (self::connectionsByGateway((array) $client_id_array) as $address => $ids) {
                $ids = array_diff_key($ids, $excluded[$address] ?? []);
                if ($ids !== []) {
                    $ext = json_encode(['connections' => $ids]);
                    self::tell($address, new Frame(Command::SEND_TO_ALL, ext: $ext, body: $message, raw: (bool) $raw));
                }
            }
            return true;
        }
        foreach (self::gateways() as $address) {
            $ext = isset($excluded[$address]) ? json_encode(['exclude' => $excluded[$address]]) : '';
            self::tell($address, new Frame(Command::SEND_TO_ALL, ext: $ext, body: $message, raw: (bool) $raw));
        }
        return true;
    }

    public static function sendToClient($client_id, $message, $raw = false)
    {
        return self::tellClient($client_id, Command::SEND_TO_ONE, body: $message, raw: (bool) $raw);
    }

    /** To the client whose event is being handled. */
    public static function sendToCurrentClient($message, $raw = false)
    {
        return self::sendToClient(self::$worker->currentClientId, $message, $raw);
    }

    /** To all clients of a uid, or of several. */
    public static function sendToUid($uid, $message, $raw = false)
    {
        $ext = json_encode(array_values((array) $uid));
        return self::tellAll(new Frame(Command::SEND_TO_UID, ext: $ext, body: $message, raw: (bool) $raw));
    }

    /** To all members of a group, or of several; a client in two of them gets it twice. False if there is no group. */
    public static function sendToGroup($group, $message, $exclude_client_id = null, $raw = false)
    {
        if (!$group) {
            return false;
        }
        $groups = array_values((array) $group);
        $excluded = self::connectionsByGateway((array) $exclude_client_id);
        foreach (self::gateways() as $address) {
            $ext = json_encode(['group' => $groups, 'exclude' => $excluded[$address] ?? null]);
            self::tell($address, new Frame(Command::SEND_TO_GROUP, ext: $ext, body: $message, raw: (bool) $raw));
        }
        return true;
    }

    // --- Ending connections ------------------------------------------------------------------------------------------

    /** Says the message, if there is one, and closes. */
    public static function closeClient($client_id, $message = null)
    {
        return self::tellClient($client_id, Command::KICK, body: $message);
    }

    public static function closeCurrentClient($message = null)
    {
        return self::closeClient(self::$worker->currentClientId, $message);
    }

    /** Ends the connection at once. */
    public static function destoryClient($client_id)
    {
        return self::tellClient($client_id, Command::DESTROY);
    }

    public static function destoryCurrentClient()
    {
        return self::destoryClient(self::$worker->currentClientId);
    }

    // --- Uids and groups ---------------------------------------------------------------------------------------------

    public static function bindUid($client_id, $uid)
    {
        return self::tellClient($client_id, Command::BIND_UID, (string) $uid);
    }

    /** Whatever uid the client has. */
    public static function unbindUid($client_id, $uid)
    {
        return self::tellClient($client_id, Command::UNBIND_UID, (string) $uid);
    }

    public static function joinGroup($client_id, $group)
    {
        return self::tellClient($client_id, Command::JOIN_GROUP, (string) $group);
    }

    public static function leaveGroup($client_id, $group)
    {
        return self::tellClient($client_id, Command::LEAVE_GROUP, (string) $group);
    }

    /** Everybody leaves the group. */
    public static function ungroup($group)
    {
        return $group ? self::tellAll(new Frame(Command::UNGROUP, ext: (string) $group)) : false;
    }

    // --- Sessions ----------------------------------------------------------------------------------------------------

    /** Replaces the session. */
    public static function setSession($client_id, array $session)
    {
        return self::tellClient($client_id, Command::SET_SESSION, serialize($session));
    }

    /** Merges into the session. */
    public static function updateSession($client_id, array $session)
    {
        return self::tellClient($client_id, Command::UPDATE_SESSION, serialize($session));
    }

    /** [] if the client has none, null if there is no such client. */
    public static function getSession($client_id)
    {
        return self::askAbout($client_id, Command::GET_SESSION_BY_CLIENT_ID);
    }

    /** client id → session, of everybody or of a group */
    public static function getAllClientSessions($group = '')
    {
        return $group
            ? self::getClientSessionsByGroup($group)
            : self::sessions(new Frame(Command::GET_ALL_CLIENT_SESSIONS));
    }

    /** client id → session */
    public static function getClientSessionsByGroup($group)
    {
        return self::sessions(new Frame(Command::GET_CLIENT_SESSIONS_BY_GROUP, ext: (string) $group));
    }

    // --- Who is online -----------------------------------------------------------------------------------------------

    /** 1 or 0 */
    public static function isOnline($client_id)
    {
        return (int) self::askAbout($client_id, Command::IS_ONLINE);
    }

    /** 1 or 0 */
    public static function isUidOnline($uid)
    {
        return (int) (self::getClientIdByUid($uid) !== []);
    }

    public static function getAllClientIdCount()
    {
        return self::count('');
    }

    public static function getAllClientCount()
    {
        return self::getAllClientIdCount();
    }

    public static function getClientIdCountByGroup($group = '')
    {
        return self::count((string) $group);
    }

    public static function getClientCountByGroup($group = '')
    {
        return self::getClientIdCountByGroup($group);
    }

    /** group → count; every asked group is there */
    public static function batchGetClientIdCountByGroup(array $groups)
    {
        $counts = array_fill_keys($groups, 0);
        $frame = new Frame(Command::BATCH_GET_CLIENT_COUNT_BY_GROUP, ext: json_encode(array_values($groups)));
        foreach (self::askAll($frame) as $answer) {
            foreach ($answer as $group => $count) {
                $counts[$group] += $count;
            }
        }
        return $counts;
    }

    /** client id → client id */
    public static function getAllClientIdList()
    {
        return self::clientIds([]);
    }

    /** client id → client id */
    public static function getClientIdListByGroup($group)
    {
        return self::clientIds(['groups' => [$group]]);
    }

    /** list of client ids */
    public static function getClientIdByUid($uid)
    {
        $clientIds = [];
        foreach (self::askAll(new Frame(Command::GET_CLIENT_ID_BY_UID, ext: (string) $uid)) as $address => $ids) {
            array_push($clientIds, ...self::clientIdsAt($address, $ids));
        }
        return $clientIds;
    }

    /** uid → list of client ids; every asked uid is there */
    public static function batchGetClientIdByUid(array $uids)
    {
        $clientIds = array_fill_keys($uids, []);
        $frame = new Frame(Command::BATCH_GET_CLIENT_ID_BY_UID, ext: json_encode(array_values($uids)));
        foreach (self::askAll($frame) as $address => $answer) {
            foreach ($answer as $uid => $ids) {
                array_push($clientIds[$uid], ...self::clientIdsAt($address, $ids));
            }
        }
        return $clientIds;
    }

    /** The uid, or null. */
    public static function getUidByClientId($client_id)
    {
        [, $id] = ClientId::parse((string) $client_id) ?? [null, 0];
        $ext = json_encode(['fields' => ['uid'], 'where' => ['connection_id' => [$id => $id]]]);
        $rows = self::askAbout($client_id, Command::SELECT, $ext);
        return $rows[$id]['uid'] ?? null;
    }

    /** uid → uid */
    public static function getAllUidList()
    {
        return self::uids([]);
    }

    public static function getAllUidCount()
    {
        return count(self::getAllUidList());
    }

    /** uid → uid */
    public static function getUidListByGroup($group)
    {
        return self::uids(['groups' => [$group]]);
    }

    public static function getUidCountByGroup($group)
    {
        return count(self::getUidListByGroup($group));
    }

    /** group → group */
    public static function getAllGroupIdList()
    {
        $groups = array_merge(...array_values(self::askAll(new Frame(Command::GET_GROUP_ID_LIST))));
        return array_combine($groups, $groups);
    }

    /** group → (uid → uid) */
    public static function getAllGroupUidList()
    {
        $uids = [];
        foreach (self::select(['uid', 'groups'], []) as $row) {
            foreach ($row['uid'] === null ? [] : $row['groups'] as $group => $_) {
                $uids[$group][$row['uid']] = $row['uid'];
            }
        }
        return $uids;
    }

    /** group → count */
    public static function getAllGroupUidCount()
    {
        return array_map('count', self::getAllGroupUidList());
    }

    /** group → (client id → client id) */
    public static function getAllGroupClientIdList()
    {
        $clientIds = [];
        foreach (self::select(['groups'], []) as $clientId => $row) {
            foreach ($row['groups'] as $group => $_) {
                $clientIds[$group][$clientId] = $clientId;
            }
        }
        return $clientIds;
    }

    /** group → count */
    public static function getAllGroupClientIdCount()
    {
        return array_map('count', self::getAllGroupClientIdList());
    }

    // --- What the methods are made of --------------------------------------------------------------------------------

    private static function count(string $group): int
    {
        return array_sum(self::askAll(new Frame(Command::GET_CLIENT_COUNT_BY_GROUP, ext: $group)));
    }

    /** @return array<string, array> client id → session */
    private static function sessions(Frame $frame): array
    {
        $sessions = [];
        foreach (self::askAll($frame) as $address => $answer) {
            foreach ($answer as $id => $bytes) {
                $sessions[ClientId::at($address, $id)] = $bytes === '' ? [] : unserialize($bytes);
            }
        }
        return $sessions;
    }

    /** @return array<string, string> */
    private static function clientIds(array $where): array
    {
        $clientIds = array_keys(self::select(['uid'], $where));
        return array_combine($clientIds, $clientIds);
    }

    /** @return array<string, string> */
    private static function uids(array $where): array
    {
        $uids = array_filter(array_column(self::select(['uid'], $where), 'uid'), 'is_string');
        return array_combine($uids, $uids);
    }

    /**
     * @param list<string> $fields
     * @return array<string, array<string, mixed>> client id → the fields
     */
    private static function select(array $fields, array $where): array
    {
        $rows = [];
        $frame = new Frame(Command::SELECT, ext: json_encode(['fields' => $fields, 'where' => $where]));
        foreach (self::askAll($frame) as $address => $answer) {
            foreach ($answer as $id => $row) {
                $rows[ClientId::at($address, $id)] = $row;
            }
        }
        return $rows;
    }

    /**
     * @param array<int> $ids
     * @return list<string>
     */
    private static function clientIdsAt(string $address, array $ids): array
    {
        return array_map(static fn(int $id) => ClientId::at($address, $id), array_values($ids));
    }

    /**
     * @param array<string> $clientIds
     * @return array<string, array<int, int>> address → (connection id → connection id)
     */
    private static function connectionsByGateway(array $clientIds): array
    {
        $connections = [];
        foreach ($clientIds as $clientId) {
            [$address, $id] = ClientId::parse((string) $clientId) ?? [null, 0];
            if ($address !== null) {
                $connections[$address][$id] = $id;
            }
        }
        return $connections;
    }

    // --- The way to the gateways -------------------------------------------------------------------------------------

    /** @return list<string> */
    private static function gateways(): array
    {
        return self::$worker?->gateways()
            ?? RegisterLookup::addresses((array) self::$registerAddress, self::$secretKey, self::$connectTimeout);
    }

    /** False if it is no client id. */
    private static function tellClient($clientId, int $command, string $ext = '', $body = '', bool $raw = false): bool
    {
        [$address, $id] = ClientId::parse((string) $clientId) ?? [null, 0];
        return $address !== null && self::tell($address, new Frame($command, $id, $ext, $body, $raw));
    }

    private static function tellAll(Frame $frame): bool
    {
        foreach (self::gateways() as $address) {
            self::tell($address, $frame);
        }
        return true;
    }

    private static function tell(string $address, Frame $frame): bool
    {
        if (self::$worker !== null) {
            return self::$worker->send($address, $frame);
        }
        self::connections()->tell($address, $frame);
        return true;
    }

    /** The answer of the client's gateway; null if it is no client id. */
    private static function askAbout($clientId, int $command, string $ext = ''): mixed
    {
        [$address, $id] = ClientId::parse((string) $clientId) ?? [null, 0];
        return $address === null
            ? null
            : self::connections()->ask([$address], new Frame($command, $id, $ext))[$address];
    }

    /** @return array<string, mixed> address → answer */
    private static function askAll(Frame $frame): array
    {
        return self::connections()->ask(self::gateways(), $frame);
    }

    private static function connections(): ShortConnections
    {
        return new ShortConnections(self::$worker?->secretKey ?? self::$secretKey, self::$connectTimeout);
    }
}
