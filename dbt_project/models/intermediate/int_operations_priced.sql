with operations as (

    select * from {{ ref('int_operations_enriched') }}

),

prices as (

    select * from {{ ref('int_prices_matched') }}

),

price_versions as (

    select distinct
        provider,
        model,
        price_version
    from prices

),

-- At most one price holds for an operation: that for its model, service tier, size, time and when it was loaded.
matched as (

    select
        operations.*,
        price_versions.price_version,
        prices.price_id,
        prices.has_other_current_rates,
        prices.has_small_rates,
        prices.is_measured,
        {%- for kind in priced_kinds() %}
        prices.list_{{ kind }}_rate,
        prices.current_{{ kind }}_rate,
        {%- endfor %}
        {{ usage_problem('operations', 'prices') }} as usage_problem
    from operations
    left join price_versions
        on
            coalesce(operations.provider, '') = price_versions.provider
            and operations.model = price_versions.model
    left join prices
        on
            coalesce(operations.provider, '') = prices.provider
            and operations.model = prices.model
            and operations.price_tier = prices.service_tier
            and coalesce(operations.loaded_at, cast('-infinity' as timestamp)) >= prices.loaded_from_at
            and coalesce(operations.loaded_at, cast('-infinity' as timestamp)) < prices.loaded_to_at
            and operations.started_at >= prices.valid_from_at
            and operations.started_at < prices.valid_to_at
            and operations.started_at_microsecond_of_day >= prices.window_start_us
            and operations.started_at_microsecond_of_day < prices.window_end_us
            and coalesce(operations.input_tokens, 0) >= prices.tier_start
            and coalesce(operations.input_tokens, 0) < prices.tier_end

),

listed as (

    select
        matched.*,
        case
            when matched.is_measured and matched.usage_problem is null
                then {{ cost_of(priced_kinds(), 'matched', 'matched', prefix='list_') | indent(20) }}
        end as list_cost_usd,
        coalesce(matched.input_tokens + matched.output_tokens, matched.input_tokens, matched.output_tokens)
            as total_tokens
    from matched

),

-- Most prices are still those of the time of the operation, and need not be multiplied with again.
priced as (

    select
        listed.*,
        case
            when not listed.has_other_current_rates then listed.list_cost_usd
            when listed.list_cost_usd is not null
                then {{ cost_of(priced_kinds(), 'listed', 'listed', prefix='current_') | indent(20) }}
        end as current_cost_usd
    from listed

),

-- A recorded cost of 0 for tokens is what an app says that does not know the price.
chosen as (

    select
        *,
        case
            when is_rollup then 'children'
            when recorded_cost_usd <> 0 or (recorded_cost_usd = 0 and coalesce(total_tokens, 0) = 0) then 'recorded'
            when list_cost_usd is not null then 'list'
        end as cost_source
    from priced

),

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
        status,

        {{ token_columns() | join(',\n        ') }},
        total_tokens,
        latency_ms,
        time_to_first_token_ms,

        recorded_cost_usd,
        list_cost_usd,
        current_cost_usd,
        case cost_source when 'recorded' then recorded_cost_usd when 'list' then list_cost_usd end as cost_usd,
        cost_source,
        {{ unpriced_reason() }} as unpriced_reason,
        case when list_cost_usd is not null then price_id end as price_id,

        is_rollup,
        is_error,
        error_class,
        has_refused_values,

        operation_date,

        started_at,
        started_at_instant,
        loaded_at,
        session_loaded_at,
        child_call_count,
        last_child_loaded_at,
        price_version

    from chosen

)

select * from final
