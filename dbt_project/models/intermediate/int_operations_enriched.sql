with operations as (

    select * from {{ ref('stg_llm_ops__operations') }}

),

sessions as (

    select * from {{ ref('stg_llm_ops__sessions') }}

),

child_calls as (

    select * from {{ ref('int_child_calls_grouped') }}

),

joined as (

    select
        operations.*,

        sessions.workspace,
        sessions.agent_id,
        sessions.loaded_at as session_loaded_at,

        child_calls.child_call_count,
        child_calls.last_child_loaded_at,
        child_calls.operation_id is not null and {{ is_span('operations.operation_type') }} as is_rollup

    from operations
    left join sessions on operations.session_id = sessions.session_id
    left join child_calls on operations.operation_id = child_calls.operation_id

),

-- What an agent's operation used is what its calls used, and is counted with those.
final as (

    select
        operation_id,
        session_id,
        parent_operation_id,
        action_id,

        workspace,
        agent_id,
        operation_type,
        provider,
        model,
        service_tier,
        {{ price_tier('service_tier') }} as price_tier,
        status,

        {%- for tokens in token_columns() %}
        case when not is_rollup then {{ tokens }} end as {{ tokens }},
        {%- endfor %}
        latency_ms,
        time_to_first_token_ms,
        child_call_count,
        case when not is_rollup then {{ to_usd('recorded_cost_usd') }} end as recorded_cost_usd,

        {{ is_error_status('status', 'has_error_message') }} as is_error,
        error_class,
        has_refused_values or not coalesce({{ is_amount('recorded_cost_usd') }}, true) as has_refused_values,
        is_rollup,

        operation_date,

        {{ epoch_microseconds('started_at') }} % 86400000000 as started_at_microsecond_of_day,
        started_at,
        started_at_instant,
        loaded_at,
        session_loaded_at,
        last_child_loaded_at

    from joined

)

select * from final
